module assayer.example/tls-peer

go 1.24.0
