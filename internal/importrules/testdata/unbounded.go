package unbounded

import (
	web "net/http"
	"time"

	"google.golang.org/grpc"
)

var (
	zero web.Server
	fine = &web.Server{ReadHeaderTimeout: time.Second, ReadTimeout: 0, WriteTimeout: 0, IdleTimeout: time.Second, MaxHeaderBytes: 1 << 10}

	half = &web.Server{ReadHeaderTimeout: time.Second}

	made  = new(web.Server)
	plain = web.ListenAndServe
	calls = grpc.NewServer
)
