module infra.test/fuzz

go 1.26.0
