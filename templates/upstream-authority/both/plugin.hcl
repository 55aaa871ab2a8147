cert_path = "__FOLDER__/root.pem"
key_path  = "__FOLDER__/root.key"
