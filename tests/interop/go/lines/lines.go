// Package lines is the line protocol of tests/interop for drivers in Go; see tests/interop/__init__.py.
package lines

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
)

// Instance is one address of a service, spelled as the scenarios spell it.
type Instance struct {
	IP        string            `json:"ip"`
	Port      uint64            `json:"port"`
	Weight    float64           `json:"weight"`
	Enabled   bool              `json:"enabled"`
	Healthy   bool              `json:"healthy"`
	Ephemeral bool              `json:"ephemeral"`
	Cluster   string            `json:"cluster"`
	Metadata  map[string]string `json:"metadata"`
}

// Command is one line of standard input; which members count depends on Do.
type Command struct {
	ID        int        `json:"id"`
	Client    string     `json:"client"`
	Do        string     `json:"do"`
	Server    string     `json:"server"`
	Namespace string     `json:"namespace"`
	Folder    string     `json:"folder"`
	Service   string     `json:"service"`
	Group     string     `json:"group"`
	Instance  Instance   `json:"instance"`
	Instances []Instance `json:"instances"`
	Clusters  []string   `json:"clusters"`
	Healthy   bool       `json:"healthy"`
	DataID    string     `json:"data_id"`
	Content   string     `json:"content"`
	MD5       string     `json:"md5"`
}

// Verb answers one kind of command.
type Verb func(Command) (any, error)

// Serve reads commands until standard input ends. open makes a client; its verbs answer the commands that name it.
func Serve(module string, open func(command Command, event func(map[string]any)) (map[string]Verb, error)) {
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	os.Stdout = os.Stderr // what the SDK prints
	var lock sync.Mutex
	say := func(message map[string]any) {
		lock.Lock()
		defer lock.Unlock()
		if err := out.Encode(message); err != nil {
			os.Exit(1)
		}
	}
	say(map[string]any{"sdk": module, "version": version(module)})

	clients := map[string]map[string]Verb{}
	input := bufio.NewReader(os.Stdin)
	for {
		line, err := input.ReadBytes('\n')
		if err != nil {
			return
		}
		var command Command
		if err := json.Unmarshal(line, &command); err != nil {
			panic(err)
		}
		value, err := answer(clients, command, open, func(event map[string]any) {
			event["client"] = command.Client
			say(event)
		})
		if err != nil {
			say(map[string]any{"id": command.ID, "error": err.Error()})
		} else {
			say(map[string]any{"id": command.ID, "value": value})
		}
	}
}

func answer(
	clients map[string]map[string]Verb,
	command Command,
	open func(Command, func(map[string]any)) (map[string]Verb, error),
	event func(map[string]any),
) (any, error) {
	if command.Do == "open" {
		verbs, err := open(command, event)
		clients[command.Client] = verbs
		return nil, err
	}
	verb, known := clients[command.Client][command.Do]
	if !known {
		return nil, fmt.Errorf("this SDK cannot %s", command.Do)
	}
	return verb(command)
}

// version is the one that was linked in.
func version(module string) string {
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, dependency := range build.Deps {
			if dependency.Path == module {
				return dependency.Version
			}
		}
	}
	return "unknown"
}
