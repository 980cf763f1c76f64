// The fuzzer's trusted reader of HTTP/1.1: Go's net/http, by which a kube-apiserver reads too, and a
// strict look at the same bytes by the grammar of RFC 9112 (strict.go).
//
// Batches come on stdin and go to stdout, each as four bytes of length and so much JSON.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
)

// ask is one stretch of bytes to be read: requests, or the answers to requests of these methods.
type ask struct {
	Bytes   []byte   `json:"bytes"`
	Methods []string `json:"methods"`
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	for {
		batch, err := nextBatch(in)
		if err == io.EOF {
			return
		}
		if err == nil {
			err = reply(out, batch)
		}
		if err != nil {
			panic(err)
		}
	}
}

func nextBatch(in io.Reader) ([]ask, error) {
	var size uint32
	if err := binary.Read(in, binary.BigEndian, &size); err != nil {
		return nil, err
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(in, text); err != nil {
		return nil, err
	}
	var batch []ask
	return batch, json.Unmarshal(text, &batch)
}

func reply(out *bufio.Writer, batch []ask) error {
	readings := make([][]message, len(batch))
	for at, asked := range batch {
		if asked.Methods == nil {
			readings[at] = readRequests(asked.Bytes)
		} else {
			readings[at] = readAnswers(asked.Bytes, asked.Methods)
		}
	}
	text, err := json.Marshal(readings)
	if err != nil {
		return err
	}
	if err := binary.Write(out, binary.BigEndian, uint32(len(text))); err != nil {
		return err
	}
	if _, err := out.Write(text); err != nil {
		return err
	}
	return out.Flush()
}
