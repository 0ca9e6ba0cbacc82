//! The settings of the provider `kubernetes`.

use super::{optional, required};
use crate::commands::configuration::Table;

pub(super) const KUBERNETES: Table = Table {
    head: "[broker.target.provider.kubernetes]",
    about: "A token of a Kubernetes service account for each writ; see [the provider](providers/kubernetes.md). Exactly one of `kubeconfig`, `in_cluster`, `eks`, `aks`, `gke` and `assertion` is written.",
    settings: &[
        optional(
            "service_account",
            "text",
            "",
            "The service account, `namespace/name`, whose token a writ gets where policy names none.",
            "\"writ-access/viewer\"",
        ),
        optional(
            "service_accounts",
            "list of texts",
            "[]",
            "The service accounts that policy may name (`@role`), besides that one.",
            "[\"writ-access/deployer\"]",
        ),
        optional(
            "audience",
            "text",
            "",
            "The audience of the tokens: the API server's own where this is left out.",
            "\"https://cluster.example\"",
        ),
        optional(
            "kubeconfig",
            "path",
            "",
            "A kubeconfig file with the cluster's address and the broker's own token or client certificate. Programs in it are not run.",
            "\"kubeconfig\"",
        ),
        optional("context", "text", "", "The context in it: its `current-context` where this is left out.", "\"prod\""),
        optional(
            "in_cluster",
            "true or false",
            "false",
            "Whether the broker runs in the cluster, in a pod, and is let in by its service account.",
            "true",
        ),
        optional("eks", "table", "", "The cluster is an EKS cluster that knows the broker by its AWS identity.", ""),
        optional("aks", "table", "", "The cluster is an AKS cluster that knows the broker by a client of Entra's.", ""),
        optional(
            "gke",
            "table",
            "",
            "The cluster is a GKE cluster that knows the broker as a service account of Google's.",
            "",
        ),
        optional(
            "assertion",
            "table",
            "",
            "The cluster trusts the broker's own issuer (`[broker.issues]`), at the target's address.",
            "",
        ),
        optional(
            "call_timeout_ms",
            "milliseconds",
            "5000",
            "Longest time for one call of the broker's, 100 to 60000.",
            "2000",
        ),
        optional(
            "sweep_limit",
            "number",
            "1000",
            "Leftovers that one sweep removes at most, 1 to 10000; the next sweep takes the rest.",
            "100",
        ),
    ],
};

pub(super) const ASSERTION: Table = Table {
    head: "[broker.target.provider.kubernetes.assertion]",
    about: "What the cluster expects of Writ's own issuer.",
    settings: &[required(
        "audience",
        "text",
        "The audience that its `AuthenticationConfiguration` lists for the issuer.",
        "\"https://cluster.example\"",
    )],
};

pub(super) const EKS: Table = Table {
    head: "[broker.target.provider.kubernetes.eks]",
    about: "An EKS cluster that lets the broker in by its own identity at AWS.",
    settings: &[
        required("region", "text", "The region that the cluster is in.", "\"eu-west-1\""),
        required("cluster", "text", "The cluster's name.", "\"prod\""),
    ],
};

pub(super) const GKE: Table = Table {
    head: "[broker.target.provider.kubernetes.gke]",
    about: "A GKE cluster that lets the broker in as a service account of Google's; see [GKE](providers/gcp.md#gke).",
    settings: &[
        required(
            "service_account",
            "text",
            "The service account whose rights the broker has in the cluster.",
            "\"writ-gke@acme-prod.iam.gserviceaccount.com\"",
        ),
        optional(
            "federation",
            "table",
            "",
            "How Google knows who asks: as `[broker.target.provider.gcp.federation]`, by `issuer` or `broker`.",
            "",
        ),
    ],
};
