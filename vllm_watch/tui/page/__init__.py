"""The page of one server: what is told of it, in parts that are arranged for the room there is."""
