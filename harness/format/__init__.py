"""What a safetensors file is: dtypes, header, a strict judge with named rules, an encoder. Knows no library."""
