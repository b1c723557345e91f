// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package session

import "context"

// Alone waits until nobody else of this session is alone with key, and returns
// what ends it; or nil, without waiting, if somebody is and wait is not set. It
// is for keys of the backend's own recipes, which do not tell one hold of a lease
// from another. It says nothing about other sessions.
func (s *Session) Alone(ctx context.Context, key string, wait bool) (done func(), err error) {
	for {
		s.mu.Lock()
		busy := s.alone[key]
		if busy == nil {
			busy = make(chan struct{})
			if s.alone == nil {
				s.alone = make(map[string]chan struct{})
			}
			s.alone[key] = busy
			s.mu.Unlock()
			return func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				if s.alone[key] == busy {
					delete(s.alone, key)
					close(busy)
				}
			}, nil
		}
		s.mu.Unlock()
		if !wait {
			return nil, nil
		}
		select {
		case <-busy:
		case <-s.ctx.Done():
			return nil, ErrClosed
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}
