cert_path = "/etc/__NAME__/root.pem"
key_path  = "/etc/__NAME__/root.key"
