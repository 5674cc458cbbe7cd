"""Completion scripts of shells, made from the parser of the command line."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from vllm_watch.core.dataclass import dataclass

PROGRAM = "vllm-watch"
SHELLS = ("bash", "zsh", "fish")
"""Shells for which a script can be made."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a command."""

    names: tuple[str, ...]
    help: str
    valued: bool
    """Whether a value follows it."""
    file: bool
    """Whether that is the name of a file."""
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """One command and what may follow it."""

    name: str
    help: str
    options: tuple[Option, ...]
    files: bool
    """Whether its words are names of files."""
    words: tuple[str, ...]
    """Its actions, or the values of its only word."""


def commands_of(parser: argparse.ArgumentParser) -> list[Command]:
    """Return every command of a parser."""
    subparsers = _subparsers(parser)
    if subparsers is None:
        return []
    helps = {choice.dest: choice.help or "" for choice in subparsers._choices_actions}
    return [_command(name, helps.get(name, ""), sub) for name, sub in subparsers.choices.items()]


def script(shell: str, parser: argparse.ArgumentParser) -> str:
    """Return the completion script for a shell of `SHELLS`."""
    commands = commands_of(parser)
    lines = {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](commands)
    return "\n".join(lines) + "\n"


def _command(name: str, text: str, parser: argparse.ArgumentParser) -> Command:
    actions = _subparsers(parser)
    options: dict[tuple[str, ...], Option] = {}
    words: list[str] = []
    files = False
    parsers = [parser, *(actions.choices.values() if actions else [])]
    for action in (action for each in parsers for action in each._actions):
        if action.option_strings:
            option = _option(action)
            options[option.names] = option
        elif action.choices is not None:
            words += [str(choice) for choice in action.choices]
        else:
            files = True
    return Command(name, text, tuple(options.values()), files, tuple(words))


def _option(action: argparse.Action) -> Option:
    return Option(
        tuple(action.option_strings),
        (action.help or "").replace("%%", "%"),
        action.nargs != 0,
        str(action.metavar).startswith("FILE"),
        tuple(str(choice) for choice in action.choices or ()),
    )


def _subparsers(
    parser: argparse.ArgumentParser,
) -> argparse._SubParsersAction[argparse.ArgumentParser] | None:
    found = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return next(found, None)


def _names(options: tuple[Option, ...]) -> str:
    return " ".join(name for option in options for name in option.names)


def _bash(commands: list[Command]) -> Iterator[str]:
    """Yield a script for bash 3.2 and newer, which needs no bash-completion."""
    words = " ".join(command.name for command in commands)
    yield f"# bash completion of {PROGRAM}: source <({PROGRAM} completion bash)"
    yield "_vllm_watch() {"
    yield "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}"
    yield "    local command= word words= files=1"
    yield '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do'
    yield f'        case " {words} " in *" $word "*) command=$word; break ;; esac'
    yield "    done"
    yield "    COMPREPLY=()"
    yield '    case "$command:$previous" in'
    for command in commands:
        for option in command.options:
            if not option.valued:
                continue
            patterns = "|".join(f"{command.name}:{name}" for name in option.names)
            action = f"words={_quote(' '.join(option.choices))}; files={int(option.file)}"
            yield f"        {patterns}) {action};;"
    yield '        *) case "$command" in'
    for command in commands:
        words_here = " ".join([*command.words, _names(command.options)])
        files = int(command.files)
        yield f"            {command.name}) words={_quote(words_here)}; files={files};;"
    yield f"            *) words={_quote(words + ' --help --version')}; files=1;;"
    yield "        esac;;"
    yield "    esac"
    yield "    local IFS=$'\\n'"
    yield '    COMPREPLY=($(IFS=" "; compgen -W "$words" -- "$current"))'
    yield '    if [ "$files" = 1 ] && [ "${current#-}" = "$current" ]; then'
    yield '        COMPREPLY+=($(compgen -f -- "$current"))'
    yield "        compopt -o filenames 2>/dev/null"
    yield "    fi"
    yield "}"
    yield f"complete -F _vllm_watch {PROGRAM}"


def _zsh(commands: list[Command]) -> Iterator[str]:
    yield f"#compdef {PROGRAM}"
    yield f"# zsh completion of {PROGRAM}: {PROGRAM} completion zsh > ~/.zfunc/_{PROGRAM}"
    yield "_vllm_watch() {"
    yield "    local -a commands"
    yield "    commands=("
    for command in commands:
        yield f"        {_quote(command.name + ':' + command.help.replace(':', ' -'))}"
    yield "    )"
    yield "    if (( CURRENT == 2 )); then"
    yield "        _describe command commands; _files; return"
    yield "    fi"
    yield "    local command=$words[2]"
    yield "    shift words; (( CURRENT-- ))"
    yield "    case $command in"
    for command in commands:
        yield f"        {command.name})"
        yield "            _arguments -s \\"
        for option in command.options:
            yield from (f"                {_quote(spec)} \\" for spec in _zsh_option(option))
        rest = "_files" if command.files else f"({' '.join(command.words)})"
        yield f"                {_quote('*:word:' + rest)};;"
    yield "        *) _files;;"
    yield "    esac"
    yield "}"
    # Loaded by the completion system it is run; sourced, it is only made known.
    yield 'if [ "$funcstack[1]" = "_vllm-watch" ]; then _vllm_watch "$@"'
    yield f"else compdef _vllm_watch {PROGRAM}; fi"


def _zsh_option(option: Option) -> Iterator[str]:
    text = "".join(" " if c in "[]:\\" else c for c in option.help)
    value = ""
    if option.valued:
        choices = f"({' '.join(option.choices)})" if option.choices else " "
        value = ":value:" + ("_files" if option.file else choices)
    for name in option.names:
        yield f"{name}[{text}]{value}"


def _fish(commands: list[Command]) -> Iterator[str]:
    yield f"# fish completion of {PROGRAM}: {PROGRAM} completion fish | source"
    names = " ".join(command.name for command in commands)
    for command in commands:
        yield (
            f"complete -c {PROGRAM} -n 'not __fish_seen_subcommand_from {names}'"
            f" -a {command.name} -d {_fish_quote(command.help)}"
        )
    for command in commands:
        seen = f"complete -c {PROGRAM} -n '__fish_seen_subcommand_from {command.name}'"
        if command.words:
            yield f"{seen} -f -a {_fish_quote(' '.join(command.words))}"
        for option in command.options:
            parts = [seen]
            parts += [
                f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"
                for name in option.names
            ]
            if option.valued:
                parts.append("-r" if option.file else "-x")
            if option.choices:
                parts.append(f"-a {_fish_quote(' '.join(option.choices))}")
            yield " ".join([*parts, f"-d {_fish_quote(option.help)}"])


def _quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _fish_quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
