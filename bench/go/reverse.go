package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"
)

// runReverseProxy is Go's own proxy from TLS to TLS, set up as well as it can be: connections are
// kept for all who ask at once, buffers are used again, nothing is unpacked. It writes as many
// lines of identity as the connector does, and judges nobody.
func runReverseProxy(args []string) error {
	if len(args) < 5 {
		return fmt.Errorf("an address, a certificate, a key, the upstream and its CA are needed")
	}
	ca, err := os.ReadFile(args[4])
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	upstream := &url.URL{Scheme: "https", Host: args[3]}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(request *httputil.ProxyRequest) {
			request.SetURL(upstream)
			setIdentity(request.Out.Header)
		},
		Transport: &http.Transport{
			TLSClientConfig:     &tls.Config{RootCAs: roots, NextProtos: []string{"http/1.1"}},
			MaxIdleConnsPerHost: 2000,
			IdleConnTimeout:     time.Minute,
			DisableCompression:  true,
			ReadBufferSize:      16 << 10,
			WriteBufferSize:     16 << 10,
		},
		BufferPool: &buffers{},
	}
	listener, err := listenTLS(args)
	if err != nil {
		return err
	}
	endWithInput()
	return (&http.Server{Handler: proxy}).Serve(listener)
}

func setIdentity(header http.Header) {
	for name := range header {
		if strings.HasPrefix(name, "Impersonate-") {
			header.Del(name)
		}
	}
	header.Set("Authorization", "Bearer cluster-token")
	header.Set("Impersonate-User", "ana@example.com")
	header.Set("Impersonate-Uid", "01234567890123456789")
	header.Set("Impersonate-Group", "infra:role:view")
	header.Set("Impersonate-Extra-access.infra%2fsession", "01234567890123456789")
}

type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if kept, ok := b.pool.Get().(*[]byte); ok {
		return *kept
	}
	return make([]byte, 64<<10)
}

func (b *buffers) Put(buffer []byte) { b.pool.Put(&buffer) }
