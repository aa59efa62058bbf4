// One CNI command through libcni: a request on stdin, what came of it on stdout.
// Runs in: tests, beside Postern, with the same configuration and the same plugins.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/types"
)

type request struct {
	Verb, Config      string
	List              bool   // Config is a list of plugins, as in a .conflist
	Path, Cache       string // where the plugins are; where results are kept
	ID, Netns, Ifname string
	Args              [][2]string
	Capabilities      map[string]interface{}
}

// An error that has no code of CNI's has none here: libcni's own are mere text.
type failure struct {
	Code    *uint  `json:"code,omitempty"`
	Msg     string `json:"msg"`
	Details string `json:"details,omitempty"`
}

type answer struct {
	Result types.Result `json:"result"`
	Error  *failure     `json:"error"`
}

func runList(r *request, cni libcni.CNI, rt *libcni.RuntimeConf) (types.Result, error) {
	conf, err := libcni.ConfListFromBytes([]byte(r.Config))
	if err != nil {
		return nil, err
	}
	switch r.Verb {
	case "ADD":
		return cni.AddNetworkList(context.Background(), conf, rt)
	case "CHECK":
		return nil, cni.CheckNetworkList(context.Background(), conf, rt)
	case "DEL":
		return nil, cni.DelNetworkList(context.Background(), conf, rt)
	}
	return nil, errors.New("unknown verb " + r.Verb)
}

func runSingle(r *request, cni libcni.CNI, rt *libcni.RuntimeConf) (types.Result, error) {
	conf, err := libcni.ConfFromBytes([]byte(r.Config))
	if err != nil {
		return nil, err
	}
	switch r.Verb {
	case "ADD":
		return cni.AddNetwork(context.Background(), conf, rt)
	case "CHECK":
		return nil, cni.CheckNetwork(context.Background(), conf, rt)
	case "DEL":
		return nil, cni.DelNetwork(context.Background(), conf, rt)
	}
	return nil, errors.New("unknown verb " + r.Verb)
}

func main() {
	var r request
	var a answer
	var coded *types.Error
	var err error

	if err = json.NewDecoder(os.Stdin).Decode(&r); err != nil {
		panic(err)
	}
	cni := libcni.NewCNIConfigWithCacheDir([]string{r.Path}, r.Cache, nil)
	rt := &libcni.RuntimeConf{ContainerID: r.ID, NetNS: r.Netns, IfName: r.Ifname, Args: r.Args,
		CapabilityArgs: r.Capabilities}
	if r.List {
		a.Result, err = runList(&r, cni, rt)
	} else {
		a.Result, err = runSingle(&r, cni, rt)
	}
	if errors.As(err, &coded) {
		a.Error = &failure{&coded.Code, coded.Msg, coded.Details}
	} else if err != nil {
		a.Error = &failure{Msg: err.Error()}
	}
	if err = json.NewEncoder(os.Stdout).Encode(&a); err != nil {
		panic(err)
	}
}
