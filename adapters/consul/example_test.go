// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package consul_test

import (
	"fmt"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/quorate/quorate/adapters/consul"
)

func ExampleNew() {
	client, err := api.NewClient(&api.Config{Address: "127.0.0.1:8500"}) // yours; Quorate never closes it
	if err != nil {
		fmt.Println(err)
		return
	}
	store, err := consul.New(client, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	// session.Open(ctx, store, nil) is the next step.
	limits := store.Limits()
	fmt.Println("shortest lease:", limits.MinTTL)
	fmt.Println("a dead process keeps its places for at most", limits.Latest(10*time.Second))
	// Output:
	// shortest lease: 10s
	// a dead process keeps its places for at most 21s
}

func ExampleOptions() {
	// Two servers, one of which is enough; they grant leases of 2 s.
	var clients []*api.Client
	for _, addr := range []string{"127.0.0.1:8500", "127.0.0.2:8500"} {
		client, err := api.NewClient(&api.Config{Address: addr})
		if err != nil {
			fmt.Println(err)
			return
		}
		clients = append(clients, client)
	}
	_, err := consul.New(clients[0], &consul.Options{
		Failover: clients[1:],
		MinTTL:   2 * time.Second, // their session_ttl_min
		MaxPolls: 32,
	})
	fmt.Println(err)
	_, err = consul.New(clients[0], &consul.Options{ProbeEvery: time.Millisecond})
	fmt.Println(err)
	// Output:
	// <nil>
	// consul: new: invalid request: Options.ProbeEvery is 1ms, minimum 300ms
}
