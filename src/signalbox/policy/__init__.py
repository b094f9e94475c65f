"""The policy: bytes of one YAML file in, one frozen, checked `schema.Policy` out."""
