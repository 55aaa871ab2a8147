module assayer.example/m3-reader

go 1.24.0

require github.com/uber-go/tally/v4 v4.1.17
