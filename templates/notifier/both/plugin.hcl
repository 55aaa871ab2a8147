journal_path = "/var/lib/__NAME__/journal"
