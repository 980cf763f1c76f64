package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// serve answers the API server on a free port, and nobody else: it runs commands,
// so whoever does not hold the API server's client certificate is turned away.
func serve(ctx context.Context, certificates string, streams *streams) (port int, err error) {
	config, err := serverTLS(certificates)
	if err != nil {
		return 0, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	server := &http.Server{
		Handler:     streams.routes(),
		ConnContext: withClosed,
		// SPDY takes the connection over, which HTTP/2 does not allow.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	go func() {
		err := server.Serve(watchedListener{tls.NewListener(listener, config)})
		if !errors.Is(err, http.ErrServerClosed) {
			log.Fatal(err)
		}
	}()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

func serverTLS(certificates string) (*tls.Config, error) {
	own, err := tls.LoadX509KeyPair(filepath.Join(certificates, "kubelet.crt"), filepath.Join(certificates, "kubelet.key"))
	if err != nil {
		return nil, err
	}
	ca, err := os.ReadFile(filepath.Join(certificates, "kubelet-ca.crt"))
	if err != nil {
		return nil, err
	}
	callers := x509.NewCertPool()
	if !callers.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("kubelet-ca.crt holds no certificate")
	}
	return &tls.Config{
		Certificates: []tls.Certificate{own},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    callers,
		MinVersion:   tls.VersionTLS12,
	}, nil
}

type watchedListener struct{ net.Listener }

func (listener watchedListener) Accept() (net.Conn, error) {
	conn, err := listener.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &watchedConn{Conn: conn, closed: make(chan struct{})}, nil
}

// A watchedConn knows when it ends. A request's context does not, once the
// connection was taken over, and a stream of a command that reads no input has
// nothing else to see it by. It is watched above TLS, where a peer's last word is
// an end: below it, nobody would read on to the end of the bytes.
type watchedConn struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (conn *watchedConn) Read(into []byte) (int, error) {
	count, err := conn.Conn.Read(into)
	// net/http sets a deadline in the past to get out of its own reading.
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		conn.end()
	}
	return count, err
}

func (conn *watchedConn) Close() error {
	conn.end()
	return conn.Conn.Close()
}

func (conn *watchedConn) end() {
	conn.once.Do(func() { close(conn.closed) })
}

type closedKey struct{}

func withClosed(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, closedKey{}, conn.(*watchedConn).closed)
}

// untilClosed is done when the request's connection or its pod ends.
func untilClosed(request *http.Request, pod *pod) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(pod.context)
	closed := request.Context().Value(closedKey{}).(chan struct{})
	go func() {
		select {
		case <-closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

const (
	idleLimit     = 4 * time.Hour
	creationLimit = 30 * time.Second
)
