keys_path = "/etc/__NAME__/keys"
