package main

import (
	"encoding/json"
	"fmt"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

type document struct {
	Provider    block            `json:"provider"`
	Resources   map[string]block `json:"resources"`
	DataSources map[string]block `json:"data_sources"`
}

type block struct {
	Attributes map[string]attribute `json:"attributes"`
	BlockTypes map[string]nested    `json:"block_types"`
}

type attribute struct {
	Type     kind `json:"type"`
	Computed bool `json:"computed"`
	Optional bool `json:"optional"`
	Required bool `json:"required"`
}

type nested struct {
	Nesting string `json:"nesting_mode"`
	Block   block  `json:"block"`
	Least   int64  `json:"min_items"`
	Most    int64  `json:"max_items"`
}

// kind is a type in Terraform's own JSON form: "string", ["list", "string"], ["object", {...}].
type kind struct{ tftypes.Type }

func (k *kind) UnmarshalJSON(text []byte) error {
	var name string
	if json.Unmarshal(text, &name) == nil {
		known := map[string]tftypes.Type{
			"string": tftypes.String, "number": tftypes.Number, "bool": tftypes.Bool, "dynamic": tftypes.DynamicPseudoType,
		}
		k.Type = known[name]
		if k.Type == nil {
			return fmt.Errorf("no type `%s`", name)
		}
		return nil
	}
	var parts [2]json.RawMessage
	if err := json.Unmarshal(text, &parts); err != nil {
		return err
	}
	if err := json.Unmarshal(parts[0], &name); err != nil {
		return err
	}
	if name == "object" {
		var attributes map[string]kind
		if err := json.Unmarshal(parts[1], &attributes); err != nil {
			return err
		}
		types := map[string]tftypes.Type{}
		for key, one := range attributes {
			types[key] = one.Type
		}
		k.Type = tftypes.Object{AttributeTypes: types}
		return nil
	}
	var element kind
	if err := json.Unmarshal(parts[1], &element); err != nil {
		return err
	}
	switch name {
	case "list":
		k.Type = tftypes.List{ElementType: element.Type}
	case "set":
		k.Type = tftypes.Set{ElementType: element.Type}
	case "map":
		k.Type = tftypes.Map{ElementType: element.Type}
	default:
		return fmt.Errorf("no type `%s`", name)
	}
	return nil
}

func (b block) object() tftypes.Object {
	types := map[string]tftypes.Type{}
	for name, one := range b.Attributes {
		types[name] = one.Type.Type
	}
	for name, one := range b.BlockTypes {
		types[name] = one.of(one.Block.object())
	}
	return tftypes.Object{AttributeTypes: types}
}

func (n nested) of(object tftypes.Object) tftypes.Type {
	switch n.Nesting {
	case "list":
		return tftypes.List{ElementType: object}
	case "set":
		return tftypes.Set{ElementType: object}
	default:
		return object
	}
}

func (b block) proto() (*tfprotov6.Schema, error) {
	made, err := b.protoBlock()
	return &tfprotov6.Schema{Block: made}, err
}

func (b block) protoBlock() (*tfprotov6.SchemaBlock, error) {
	made := &tfprotov6.SchemaBlock{}
	for name, one := range b.Attributes {
		made.Attributes = append(made.Attributes, &tfprotov6.SchemaAttribute{
			Name: name, Type: one.Type.Type, Computed: one.Computed, Optional: one.Optional, Required: one.Required,
		})
	}
	modes := map[string]tfprotov6.SchemaNestedBlockNestingMode{
		"list":   tfprotov6.SchemaNestedBlockNestingModeList,
		"set":    tfprotov6.SchemaNestedBlockNestingModeSet,
		"single": tfprotov6.SchemaNestedBlockNestingModeSingle,
	}
	for name, one := range b.BlockTypes {
		inner, err := one.Block.protoBlock()
		if err != nil {
			return nil, err
		}
		mode, known := modes[one.Nesting]
		if !known {
			return nil, fmt.Errorf("%s: no nesting `%s`", name, one.Nesting)
		}
		made.BlockTypes = append(made.BlockTypes, &tfprotov6.SchemaNestedBlock{
			TypeName: name, Block: inner, Nesting: mode, MinItems: one.Least, MaxItems: one.Most,
		})
	}
	return made, nil
}
