"""The GitHub forge: claims by refs, pulls by REST and GraphQL, over one careful HTTP client."""
