"""`semtel tune`: what the cost reducers save and lose on the user's own conversations, alone and together."""
