node     = "node-1"
key_path = "/etc/__NAME__/key"
