"""A fuzzing and hardening harness for the safetensors parser."""
