organization = "Example"
