package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"
)

// arguments are the members of a command's JSON object.
type arguments struct {
	ID          int      `json:"id"`
	Command     string   `json:"command"`
	Listen      []string `json:"listen"`
	Security    []string `json:"security"`
	PubSub      string   `json:"pubsub"`
	NameServer  string   `json:"nameServer"`
	AutoNAT     bool     `json:"autoNAT"`
	Roots       string   `json:"roots"`
	Certificate string   `json:"certificate"`
	Key         string   `json:"key"`
	Addr        string   `json:"addr"`
	Peer        string   `json:"peer"`
	Protocol    string   `json:"protocol"`
	Bytes       int      `json:"bytes"`
	Topic       string   `json:"topic"`
	Data        []byte   `json:"data"`
	Subscribers []string `json:"subscribers"`
	Mesh        []string `json:"mesh"`
}

type values map[string]any

var outputLock sync.Mutex

// emit writes one JSON object as a line of standard output; libp2p's own log goes to standard error.
func emit(v values) {
	line, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	outputLock.Lock()
	defer outputLock.Unlock()
	fmt.Println(string(line))
}

func answer(args arguments, run func(arguments) (values, error)) {
	result, err := run(args)
	switch {
	case err != nil:
		emit(values{"id": args.ID, "error": err.Error()})
	case result == nil:
		emit(values{"id": args.ID, "result": values{}})
	default:
		emit(values{"id": args.ID, "result": result})
	}
}

// serve runs commands side by side as they arrive, and returns at the end of the input.
func serve(run func(arguments) (values, error)) {
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 1<<24)
	for input.Scan() {
		var args arguments
		if err := json.Unmarshal(input.Bytes(), &args); err != nil {
			emit(values{"id": args.ID, "error": err.Error()})
			continue
		}
		go answer(args, run)
	}
}
