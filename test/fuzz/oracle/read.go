package main

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
)

// message is one request or answer as it was read. Text is Latin-1: a character a byte.
type message struct {
	Start int `json:"start"`
	// Head is where the head ends, End where the body does.
	Head     int                 `json:"head"`
	End      int                 `json:"end"`
	Method   string              `json:"method"`
	Target   string              `json:"target"`
	Status   int                 `json:"status"`
	Reason   string              `json:"reason"`
	Host     string              `json:"host"`
	Fields   map[string][]string `json:"fields"`
	Trailers map[string][]string `json:"trailers"`
	Framing  string              `json:"framing"`
	Body     []byte              `json:"body"`
	// State: "whole", "cut" (more bytes are missing) or "wrong" (no bytes would make it right).
	State string `json:"state"`
	Error string `json:"error"`
	// Odd: what RFC 9112 does not allow and net/http took nevertheless.
	Odd string `json:"odd"`
	// Last: nothing behind it on this connection is HTTP, or is to be read.
	Last bool `json:"last"`
}

// place counts what a reader has taken of the bytes below it.
type place struct {
	*bufio.Reader
	below *bytes.Reader
	size  int
}

func placeIn(all []byte) *place {
	below := bytes.NewReader(all)
	return &place{bufio.NewReader(below), below, len(all)}
}

func (p *place) at() int { return p.size - p.below.Len() - p.Buffered() }

func readRequests(all []byte) []message {
	messages := []message{}
	for in := placeIn(all); in.at() < in.size; {
		m := begun(in, "")
		request, err := http.ReadRequest(in.Reader)
		m.Head = in.at()
		if err != nil {
			return append(messages, m.fail(err))
		}
		m.Method, m.Target, m.Host = request.Method, latin(request.RequestURI), latin(request.Host)
		m.Fields = fields(request.Header)
		m.Framing = framing(request.TransferEncoding, len(request.Header["Content-Length"]) > 0, "none")
		m.takeBody(request.Body, in, all)
		m.Trailers = fields(request.Trailer)
		m.Last = request.Close || asksUpgrade(request.Header)
		messages = append(messages, m)
		if m.State != "whole" || m.Last {
			return messages
		}
	}
	return messages
}

func readAnswers(all []byte, methods []string) []message {
	messages := []message{}
	in := placeIn(all)
	for finals := 0; in.at() < in.size && finals < len(methods); {
		m := begun(in, methods[finals])
		answer, err := http.ReadResponse(in.Reader, &http.Request{Method: methods[finals]})
		m.Head = in.at()
		if err != nil {
			return append(messages, m.fail(err))
		}
		m.Status = answer.StatusCode
		m.Reason = latin(strings.TrimPrefix(answer.Status[3:], " "))
		m.Fields = fields(answer.Header)
		m.Framing = "none"
		if hasBody(m.Method, m.Status) {
			m.Framing = framing(answer.TransferEncoding, answer.ContentLength >= 0, "until-close")
		}
		m.takeBody(answer.Body, in, all)
		m.Trailers = fields(answer.Trailer)
		m.Last = m.Status == 101 || m.Status >= 200 && (answer.Close || m.Framing == "until-close")
		messages = append(messages, m)
		if m.State != "whole" || m.Last {
			return messages
		}
		if m.Status >= 200 {
			finals++
		}
	}
	return messages
}

func begun(in *place, method string) message {
	none := map[string][]string{}
	return message{Start: in.at(), Method: method, Fields: none, Trailers: none}
}

func (m *message) takeBody(body io.Reader, in *place, all []byte) {
	read, err := io.ReadAll(body)
	m.Body, m.End = read, in.at()
	if err != nil {
		*m = m.fail(err)
		// net/http says this too of trailers whose end has not come yet.
		if strings.Contains(m.Error, "long trailer") && !bytes.Contains(all[m.End:], []byte("\r\n\r\n")) {
			m.State = "cut"
		}
		return
	}
	m.State = "whole"
	m.Odd = oddity(all[m.Start:m.Head], m.Framing, all[m.Head:m.End])
}

func (m message) fail(err error) message {
	m.State, m.Error = "wrong", latin(err.Error())
	isCut := errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
	if isCut || strings.Contains(m.Error, "unexpected EOF") {
		m.State = "cut"
	}
	return m
}

// hasBody: RFC 9112 section 6.3, the first of its cases.
func hasBody(method string, status int) bool {
	return method != "HEAD" && status >= 200 && status != 204 && status != 304
}

func framing(codings []string, hasLength bool, otherwise string) string {
	if len(codings) > 0 {
		return "chunked"
	}
	if hasLength {
		return "length"
	}
	return otherwise
}

func asksUpgrade(header http.Header) bool {
	asks := strings.Contains(strings.ToLower(strings.Join(header["Connection"], ",")), "upgrade")
	return asks && len(header["Upgrade"]) > 0
}

func fields(header http.Header) map[string][]string {
	made := map[string][]string{}
	for name, values := range header {
		key := strings.ToLower(latin(name))
		for _, value := range values {
			made[key] = append(made[key], latin(value))
		}
	}
	return made
}

func latin(text string) string {
	runes := make([]rune, 0, len(text))
	for at := range len(text) {
		runes = append(runes, rune(text[at]))
	}
	return string(runes)
}
