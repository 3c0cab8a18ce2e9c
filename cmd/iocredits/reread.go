package main

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"iocredits/httpapi"
)

// rereadKeys reads the file of --keys again whenever SIGHUP comes, until stop: so that a
// key that is out is taken out while customers are served. A file that can't be read
// changes nothing. check looks at what was read.
func rereadKeys(file string, keys *httpapi.Keys, check func(*httpapi.Keys, *slog.Logger), logger *slog.Logger) (stop func()) {
	hups, ended := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(hups, syscall.SIGHUP)
	go func() {
		defer close(ended)
		for range hups {
			read, err := readKeysFile(file)
			if err != nil {
				logger.Error("the keys of before stay", "error", err)
				continue
			}
			check(read, logger)
			before := keys.Len()
			keys.Replace(read)
			logger.Info("keys were read again", "file", file, "before", before, "now", read.Len())
		}
	}()
	return func() {
		signal.Stop(hups)
		close(hups)
		<-ended
	}
}
