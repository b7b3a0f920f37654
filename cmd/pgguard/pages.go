package main

import (
	"log/slog"

	"pgguard/proxy/auth"
	"pgguard/proxy/config"
)

// pageCertificates are those of the HTTP pages; nil: they are served without TLS, or not at all.
func pageCertificates(f *config.File, log *slog.Logger) (*auth.Certificates, error) {
	files := f.PageFiles()
	if files.Cert == "" || f.HTTP == "off" {
		return nil, nil
	}
	return auth.NewCertificates(files, func(err error) {
		if err != nil {
			log.Error("new certificates of the pages cannot be used; those before stay in use", "error", err)
			return
		}
		log.Info("new certificates are in use for callers of the pages")
	}, func(err error) { log.Warn("callers of the pages do not take the certificate", "error", err) })
}
