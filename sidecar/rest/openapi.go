package rest

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/synod-network/synod/sidecar/log"
)

// object is a piece of JSON.
type object = map[string]any

// document writes the OpenAPI document from the table of routes.
func (s *server) document() ([]byte, error) {
	schemas := schemasOf(s.reader.Layout())
	paths := make(object)
	for i := range s.routes {
		paths[s.routes[i].path] = object{"get": s.operation(&s.routes[i])}
	}
	return json.MarshalIndent(object{
		"openapi": "3.0.3",
		"info": object{
			"title":       "Event sidecar",
			"description": "Events of the nodes that this sidecar reads, as it has stored them.",
			"version":     s.version,
			"license":     object{"name": "Apache-2.0"},
		},
		"paths":      paths,
		"components": object{"schemas": schemas},
	}, "", "  ")
}

func (s *server) operation(r *route) object {
	var parameters []object
	for _, segment := range strings.Split(r.path, "/") {
		if name, isArgument := strings.CutPrefix(segment, "{"); isArgument {
			parameters = append(parameters, object{
				"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true, "schema": object{"type": "string"},
			})
		}
	}
	answer := s.answerSchema(r)
	if r.many {
		answer = object{"type": "array", "items": answer}
	}
	operation := object{
		"summary": r.summary,
		"responses": object{
			"200": response("what was asked for", answer),
			"400": response("the path or an argument is not valid", reference("Error")),
			"404": response("nothing is stored under this key", reference("Error")),
			"500": response("the database failed", reference("Error")),
			"503": response("the request waited too long for its turn", reference("Error")),
		},
	}
	if len(parameters) > 0 {
		operation["parameters"] = parameters
	}
	return operation
}

// answerSchema is the schema of one item; layout V2 puts events into envelopes.
func (s *server) answerSchema(r *route) object {
	schema := reference(r.returns)
	switch r.returns {
	case "Status", "Document", "DeployAggregate", "TransactionAggregate":
		return schema
	}
	if s.reader.Layout() == log.V2 {
		return enveloped(schema)
	}
	return schema
}

func response(description string, schema object) object {
	return object{"description": description, "content": object{"application/json": object{"schema": schema}}}
}

func reference(name string) object { return object{"$ref": "#/components/schemas/" + name} }

func enveloped(schema object) object {
	return structure(object{
		"header":  structure(object{"api_version": text("version of the node's API"), "network_name": text("name of the network")}),
		"payload": schema,
	})
}

func structure(fields object) object {
	return object{"type": "object", "properties": fields, "required": slices.Sorted(maps.Keys(fields))}
}

func text(description string) object { return object{"type": "string", "description": description} }

func whole(description string) object {
	return object{"type": "integer", "format": "uint64", "description": description}
}

func anything(description string) object {
	return object{"type": "object", "description": description, "additionalProperties": true}
}

func nullable(schema object) object {
	return object{"nullable": true, "allOf": []object{schema}}
}

func schemasOf(layout log.Layout) object {
	schemas := object{
		"Error":      structure(object{"code": object{"type": "integer"}, "message": text("what is wrong")}),
		"Status":     structure(object{"version": text("version of the sidecar")}),
		"Document":   anything("an OpenAPI document"),
		"BlockAdded": structure(object{"block_hash": text("hash of the block"), "block": anything("the block, as nodes give it")}),
		"Fault":      structure(object{"era_id": whole("era of the fault"), "public_key": text("the validator"), "timestamp": text("when it happened")}),
		"Step":       structure(object{"era_id": whole("the era"), "execution_effect": anything("what the step changed")}),
	}
	if layout == log.V1 {
		schemas["FinalitySignature"] = structure(object{
			"block_hash": text("the block"), "era_id": whole("its era"), "signature": text("the signature"), "public_key": text("the validator"),
		})
		maps.Copy(schemas, schemasOfDeploys())
	} else {
		schemas["FinalitySignature"] = anything("V1 or V2, as nodes give it")
		maps.Copy(schemas, schemasOfTransactions())
	}
	return schemas
}

func schemasOfDeploys() object {
	return object{
		"DeployAccepted":  structure(object{"deploy": anything("the deploy")}),
		"DeployProcessed": structure(object{"deploy_hash": text("the deploy"), "block_hash": text("the block that holds it"), "execution_result": anything("Success or Failure")}),
		"DeployExpired":   structure(object{"deploy_hash": text("the deploy")}),
		"DeployAggregate": structure(object{
			"deploy_hash": text("the deploy"), "deploy_accepted": reference("DeployAccepted"),
			"deploy_processed": nullable(reference("DeployProcessed")), "deploy_expired": object{"type": "boolean"},
		}),
	}
}

func schemasOfTransactions() object {
	return object{
		"TransactionAccepted":  structure(object{"transaction": anything("Deploy or Version1")}),
		"TransactionProcessed": structure(object{"transaction_hash": anything("Deploy or Version1"), "block_hash": text("the block that holds it"), "execution_result": anything("what it did")}),
		"TransactionExpired":   structure(object{"transaction_hash": anything("Deploy or Version1")}),
		"TransactionAggregate": structure(object{
			"transaction_hash": text("the transaction"), "transaction_accepted": enveloped(reference("TransactionAccepted")),
			"transaction_processed": nullable(enveloped(reference("TransactionProcessed"))), "transaction_expired": object{"type": "boolean"},
		}),
	}
}
