module infra/bench

go 1.26
