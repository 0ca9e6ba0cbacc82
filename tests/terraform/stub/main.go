// A provider for Terraform that has a real provider's schema and nothing behind it: what is planned is what was written, and what
// a cloud would fill in is made up. With it `init`, `validate`, `test` and `plan` run where the real provider is not to be had.
//
// It reads `schema.json` beside its own file, as schemas.mjs prints it, and `answers.json`: what it says for computed attributes.
// It has no credentials and calls nobody.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6/tf6server"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "stub:", err)
		os.Exit(1)
	}
}

func run() error {
	own, err := os.Executable()
	if err != nil {
		return err
	}
	var schema document
	if err := read(filepath.Join(filepath.Dir(own), "schema.json"), &schema); err != nil {
		return err
	}
	var answers map[string]map[string]any
	if err := read(filepath.Join(filepath.Dir(own), "answers.json"), &answers); err != nil {
		return err
	}
	// terraform-provider-google_v6.50.0
	name, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(own), "terraform-provider-"), "_")
	served, err := newProvider(schema, answers)
	if err != nil {
		return err
	}
	return tf6server.Serve("registry.terraform.io/hashicorp/"+name, func() tfprotov6.ProviderServer { return served })
}

func read(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// Everything that a resource can be asked; what is not here (functions, ephemeral resources, lists, actions) a schema cannot name.
type provider struct {
	tfprotov6.ProviderServer
	schema    *tfprotov6.GetProviderSchemaResponse
	resources map[string]block
	data      map[string]block
	answers   map[string]map[string]any
}

func newProvider(schema document, answers map[string]map[string]any) (*provider, error) {
	made := &provider{resources: schema.Resources, data: schema.DataSources, answers: answers}
	own, err := schema.Provider.proto()
	if err != nil {
		return nil, err
	}
	made.schema = &tfprotov6.GetProviderSchemaResponse{
		Provider:          own,
		ResourceSchemas:   map[string]*tfprotov6.Schema{},
		DataSourceSchemas: map[string]*tfprotov6.Schema{},
	}
	for name, one := range schema.Resources {
		if made.schema.ResourceSchemas[name], err = one.proto(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	for name, one := range schema.DataSources {
		if made.schema.DataSourceSchemas[name], err = one.proto(); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return made, nil
}

func (p *provider) GetMetadata(context.Context, *tfprotov6.GetMetadataRequest) (*tfprotov6.GetMetadataResponse, error) {
	answer := &tfprotov6.GetMetadataResponse{}
	for name := range p.resources {
		answer.Resources = append(answer.Resources, tfprotov6.ResourceMetadata{TypeName: name})
	}
	for name := range p.data {
		answer.DataSources = append(answer.DataSources, tfprotov6.DataSourceMetadata{TypeName: name})
	}
	return answer, nil
}

func (p *provider) GetProviderSchema(context.Context, *tfprotov6.GetProviderSchemaRequest) (*tfprotov6.GetProviderSchemaResponse, error) {
	return p.schema, nil
}

func (p *provider) GetResourceIdentitySchemas(context.Context, *tfprotov6.GetResourceIdentitySchemasRequest) (*tfprotov6.GetResourceIdentitySchemasResponse, error) {
	return &tfprotov6.GetResourceIdentitySchemasResponse{}, nil
}

func (p *provider) ValidateProviderConfig(_ context.Context, asked *tfprotov6.ValidateProviderConfigRequest) (*tfprotov6.ValidateProviderConfigResponse, error) {
	return &tfprotov6.ValidateProviderConfigResponse{PreparedConfig: asked.Config}, nil
}

func (p *provider) ConfigureProvider(context.Context, *tfprotov6.ConfigureProviderRequest) (*tfprotov6.ConfigureProviderResponse, error) {
	return &tfprotov6.ConfigureProviderResponse{}, nil
}

func (p *provider) StopProvider(context.Context, *tfprotov6.StopProviderRequest) (*tfprotov6.StopProviderResponse, error) {
	return &tfprotov6.StopProviderResponse{}, nil
}

func (p *provider) ValidateResourceConfig(context.Context, *tfprotov6.ValidateResourceConfigRequest) (*tfprotov6.ValidateResourceConfigResponse, error) {
	return &tfprotov6.ValidateResourceConfigResponse{}, nil
}

func (p *provider) ValidateDataResourceConfig(context.Context, *tfprotov6.ValidateDataResourceConfigRequest) (*tfprotov6.ValidateDataResourceConfigResponse, error) {
	return &tfprotov6.ValidateDataResourceConfigResponse{}, nil
}

func (p *provider) UpgradeResourceState(_ context.Context, asked *tfprotov6.UpgradeResourceStateRequest) (*tfprotov6.UpgradeResourceStateResponse, error) {
	value, err := asked.RawState.Unmarshal(p.resources[asked.TypeName].object())
	if err != nil {
		return nil, err
	}
	state, err := tfprotov6.NewDynamicValue(p.resources[asked.TypeName].object(), value)
	return &tfprotov6.UpgradeResourceStateResponse{UpgradedState: &state}, err
}

func (p *provider) ReadResource(_ context.Context, asked *tfprotov6.ReadResourceRequest) (*tfprotov6.ReadResourceResponse, error) {
	return &tfprotov6.ReadResourceResponse{NewState: asked.CurrentState}, nil
}

func (p *provider) PlanResourceChange(_ context.Context, asked *tfprotov6.PlanResourceChangeRequest) (*tfprotov6.PlanResourceChangeResponse, error) {
	planned, err := p.resources[asked.TypeName].planned(asked.PriorState, asked.ProposedNewState)
	return &tfprotov6.PlanResourceChangeResponse{PlannedState: planned}, err
}

func (p *provider) ApplyResourceChange(_ context.Context, asked *tfprotov6.ApplyResourceChangeRequest) (*tfprotov6.ApplyResourceChangeResponse, error) {
	made, err := p.resources[asked.TypeName].filled(asked.TypeName, asked.PlannedState, p.answers[asked.TypeName])
	return &tfprotov6.ApplyResourceChangeResponse{NewState: made}, err
}

func (p *provider) ReadDataSource(_ context.Context, asked *tfprotov6.ReadDataSourceRequest) (*tfprotov6.ReadDataSourceResponse, error) {
	one := p.data[asked.TypeName]
	planned, err := one.planned(nil, asked.Config)
	if err != nil {
		return nil, err
	}
	made, err := one.filled(asked.TypeName, planned, p.answers[asked.TypeName])
	return &tfprotov6.ReadDataSourceResponse{State: made}, err
}
