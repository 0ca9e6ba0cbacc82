//! HCP Terraform's workload identity (developer.hashicorp.com, "Dynamic provider credentials: workload identity").

use super::reader::{Attributes, Reader};
use super::{Algorithm, IdentityFault, Known, Span};

pub(super) fn known() -> Known {
    Known {
        issuer: Ok("https://app.terraform.io".to_owned()),
        algorithms: &[Algorithm::Rs256],
        // A token lives as long as its run may.
        max_lifetime: Span::seconds(2 * 3600),
        jwks_hosts: &[],
        tenant: None,
    }
}

pub(super) fn read(token: &Reader<'_>) -> Result<Attributes, IdentityFault> {
    let (organization, workspace) =
        (token.text("terraform_organization_name")?, token.text("terraform_workspace_name")?);
    let phase = token.one_of("terraform_run_phase", &["plan", "apply", "test"])?;
    let project = token.optional("terraform_project_name")?;
    let expected = match project {
        Some(project) => {
            format!("organization:{organization}:project:{project}:workspace:{workspace}:run_phase:{phase}")
        }
        None => format!("organization:{organization}:workspace:{workspace}:run_phase:{phase}"),
    };
    let subject = token.text("sub")?;
    if subject != expected {
        return Err(token.contradiction("sub", "terraform_workspace_name", subject));
    }
    Ok(Attributes::default()
        .put("platform", "terraform")
        .put("owner", organization)
        .put("owner_id", token.text("terraform_organization_id")?)
        .put_some("project", project)
        .put_some("project_id", token.optional("terraform_project_id")?)
        .put("repository", format!("{organization}/{workspace}"))
        .put("repository_id", token.text("terraform_workspace_id")?)
        .put("environment", phase)
        .put("run", token.text("terraform_run_id")?))
}
