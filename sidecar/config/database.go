package config

import (
	"fmt"
	"strconv"
)

// The environment's names for the connection to PostgreSQL. They come before the file.
const (
	envHost           = "SIDECAR_POSTGRES_HOST"
	envDatabase       = "SIDECAR_POSTGRES_DATABASE_NAME"
	envUser           = "SIDECAR_POSTGRES_USERNAME"
	envPassword       = "SIDECAR_POSTGRES_PASSWORD"
	envMaxConnections = "SIDECAR_POSTGRES_MAX_CONNECTIONS"
	envPort           = "SIDECAR_POSTGRES_PORT"
)

// Defaults of a connection to PostgreSQL.
const (
	defaultMaxConnections = 10
	defaultPort           = 5432
)

// postgresql merges the environment into what the file says. The errors' words are those of Casper's sidecar.
func (r *reader) postgresql(key string, file *postgresql1) (*PostgreSQL, error) {
	if file == nil {
		file = &postgresql1{}
	}
	p := &PostgreSQL{}
	for _, setting := range []struct {
		env, key string
		file     *string
		to       *string
	}{
		{envHost, "host", file.Host, &p.Host},
		{envDatabase, "database_name", file.Database, &p.Database},
		{envUser, "database_username", file.User, &p.User},
		{envPassword, "database_password", file.Password, &p.Password},
	} {
		fromEnvironment, found := r.environ[setting.env]
		switch {
		case found:
			*setting.to = fromEnvironment
			r.override(key+"."+setting.key, fromEnvironment, setting.env)
		case setting.file != nil:
			*setting.to = *setting.file
		default:
			return nil, fmt.Errorf("failed to parse the config option behind env_var %s with error: Config value not set in ENV vars or config file", setting.env)
		}
	}
	connections, err := r.number(key+".max_connections_in_pool", envMaxConnections, "Max connections", file.MaxConnections, defaultMaxConnections, 32)
	if err != nil {
		return nil, err
	}
	var filePort *uint32
	if file.Port != nil {
		wide := uint32(*file.Port)
		filePort = &wide
	}
	port, err := r.number(key+".port", envPort, "Port", filePort, defaultPort, 16)
	if err != nil {
		return nil, err
	}
	if connections < 1 {
		return nil, fmt.Errorf("%s.max_connections_in_pool is 0: it must be at least 1", key)
	}
	p.MaxConnections, p.Port = uint32(connections), uint16(port)
	return p, nil
}

func (r *reader) number(key, env, name string, file *uint32, otherwise uint64, bits int) (uint64, error) {
	text, found := r.environ[env]
	switch {
	case found:
		n, err := strconv.ParseUint(text, 10, bits)
		if err != nil {
			return 0, fmt.Errorf("failed to parse the config option for %s with error: %s is %q, which is not a number up to %d", name, env, text, uint64(1)<<bits-1)
		}
		r.override(key, text, env)
		return n, nil
	case file != nil:
		return uint64(*file), nil
	}
	r.values = append(r.values, Value{Key: key, Value: strconv.FormatUint(otherwise, 10), Origin: "default"})
	return otherwise, nil
}

// override replaces what the file said by what the environment says.
func (r *reader) override(key, value, env string) {
	if env == envPassword {
		value = hidden
	}
	now := Value{Key: key, Value: value, Origin: "environment " + env}
	for i := range r.values {
		if r.values[i].Key == key {
			r.values[i] = now
			return
		}
	}
	r.values = append(r.values, now)
}
