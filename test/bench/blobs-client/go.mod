module weir.dev/blobs-client

go 1.26.8
