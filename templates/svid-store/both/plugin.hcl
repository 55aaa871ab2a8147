folder = "/var/lib/__NAME__"
