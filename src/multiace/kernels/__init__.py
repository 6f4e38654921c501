"""The operations every design is made of; `dispatch` chooses how they are computed."""
