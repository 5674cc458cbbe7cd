#!/usr/bin/env bash
# Three panes: the server left, the dashboard right, a client below it.
#   examples/jobs/tmux.sh Qwen/Qwen3-1.7B 8000 [FLAGS...]
set -euo pipefail

model=${1:?usage: tmux.sh MODEL [PORT] [FLAGS...]}
port=${2:-8000}
shift $(($# > 2 ? 2 : $#))
logs=${LOGS:-pbs_results}
name=vllm-$port
log=$logs/vllm_$(tr / _ <<<"${model#/}")_port${port}_realtime.log

serve=$(printf '%q ' vllm-watch run --log-dir "$logs" -- "${VLLM:-vllm}" serve "$model" --port "$port" "$@")
tmux new-session -d -s "$name" -n vllm
tmux send-keys -t "$name" "$serve | cat" Enter      # events line by line; ctrl+c stops the server
tmux split-window -h -t "$name" -l 65%
tmux send-keys -t "$name" "vllm-watch $(printf %q "$log")" Enter
tmux split-window -v -t "$name" -l 30%
tmux send-keys -t "$name" "vllm-watch wait $(printf %q "$log") && echo ready: start your client here" Enter
[ -t 1 ] && exec tmux attach -t "$name"
echo "tmux attach -t $name"
