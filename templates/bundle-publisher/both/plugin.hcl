path = "/var/lib/__NAME__/bundle.pem"
