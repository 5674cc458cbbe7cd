"""A real vLLM on this machine's processor as the judge of what is read (`make test-real`)."""
