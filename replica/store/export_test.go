package store

// DrainIndex does what Run does after a while.
func (s *Store) DrainIndex() error { return s.index.drain(false, nil) }
