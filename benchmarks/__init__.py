"""How fast scoring and delivery are, beside what others would use. The product knows none of it."""
