"""Compares vllm-watch with a real vLLM on this machine's processor (`make test-real`)."""
