package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

const (
	smallBytes = 2 << 10
	listBytes  = 1 << 20
	bulkBytes  = 1 << 30
	chunkBytes = 32 << 10
	pieceBytes = 1 << 20
)

// runUpstream stands for the API server: as little work as an answer takes, so that it is the
// proxy that is measured. It answers every connector that its bindings and rights are in order.
func runUpstream(args []string) error {
	listener, err := listenTLS(args)
	if err != nil {
		return err
	}
	endWithInput()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go answerAll(conn)
	}
}

// listenTLS takes an address, a certificate and its key.
func listenTLS(args []string) (net.Listener, error) {
	if len(args) < 3 {
		return nil, fmt.Errorf("an address, a certificate and a key are needed")
	}
	pair, err := tls.LoadX509KeyPair(args[1], args[2])
	if err != nil {
		return nil, err
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
	return tls.Listen("tcp", args[0], config)
}

type asked struct {
	method string
	path   string
	length int64
}

func answerAll(conn net.Conn) {
	defer conn.Close()
	reader := bufio.NewReaderSize(conn, 32<<10)
	for {
		request, err := readAsked(reader)
		if err != nil || answer(conn, reader, request) != nil {
			return
		}
	}
}

func readAsked(reader *bufio.Reader) (asked, error) {
	line, err := reader.ReadSlice('\n')
	if err != nil {
		return asked{}, err
	}
	words := strings.SplitN(string(line), " ", 3)
	if len(words) != 3 {
		return asked{}, fmt.Errorf("no request: %q", line)
	}
	request := asked{method: words[0], path: words[1]}
	length, _, err := readFields(reader)
	request.length = max(length, 0)
	return request, err
}

var (
	contentLength    = []byte("content-length:")
	transferEncoding = []byte("transfer-encoding:")
)

// readFields reads to the end of a head: the length of the body (-1: none is said), and whether
// it comes in chunks.
func readFields(reader *bufio.Reader) (length int64, chunked bool, err error) {
	length = -1
	for {
		line, err := reader.ReadSlice('\n')
		if err != nil || len(line) <= 2 {
			return length, chunked, err
		}
		switch {
		case hasPrefix(line, contentLength):
			length, err = strconv.ParseInt(string(bytes.TrimSpace(line[len(contentLength):])), 10, 64)
			if err != nil {
				return 0, false, err
			}
		case hasPrefix(line, transferEncoding):
			chunked = true
		}
	}
}

func hasPrefix(line, name []byte) bool {
	return len(line) > len(name) && bytes.EqualFold(line[:len(name)], name)
}

const chunkedHead = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"

var (
	small   = counted("200 OK", `{"kind":"ConfigMap","data":"`+strings.Repeat("x", smallBytes-30)+`"}`)
	created = counted("201 Created", "{}")
	nothing = counted("200 OK", `{"items":[]}`)
	event   = []byte(chunkedHead + "10\r\n{\"type\":\"ADDED\"}\r\n")
	list    = []byte(chunkedHead + strings.Repeat(chunk, listBytes/chunkBytes) + last)
	piece   = []byte(strings.Repeat(chunk, pieceBytes/chunkBytes))
	chunk   = fmt.Sprintf("%x\r\n%s\r\n", chunkBytes, strings.Repeat("y", chunkBytes))
)

const last = "0\r\n\r\n"

func counted(status, body string) []byte {
	head := "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
	return fmt.Appendf(nil, head, status, len(body), body)
}

func answer(conn net.Conn, reader *bufio.Reader, request asked) error {
	path, query, _ := strings.Cut(request.path, "?")
	if _, err := io.CopyN(io.Discard, reader, request.length); err != nil {
		return err
	}
	switch {
	case request.method == "POST":
		return write(conn, created)
	case strings.HasSuffix(path, "/small"), request.method == "PUT":
		return write(conn, small)
	case strings.HasSuffix(path, "/list"):
		return write(conn, list)
	case strings.HasSuffix(path, "/bulk"):
		return writeBulk(conn)
	case strings.Contains(query, "watch=1"):
		return watch(conn, reader)
	default:
		return write(conn, nothing)
	}
}

func write(conn net.Conn, bytes []byte) error {
	_, err := conn.Write(bytes)
	return err
}

func writeBulk(conn net.Conn) error {
	if err := write(conn, []byte(chunkedHead)); err != nil {
		return err
	}
	for range bulkBytes / pieceBytes {
		if err := write(conn, piece); err != nil {
			return err
		}
	}
	return write(conn, []byte(last))
}

// watch says one thing, and then nothing until the other end goes.
func watch(conn net.Conn, reader *bufio.Reader) error {
	if err := write(conn, event); err != nil {
		return err
	}
	_, err := reader.ReadByte()
	return err
}
