"""The pages of one server and of two compared runs: their parts, arranged for the space."""
