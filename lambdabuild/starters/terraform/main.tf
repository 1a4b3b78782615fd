# What `lambdabuild` builds, for Terraform and OpenTofu: built at plan, if it is not up to date.
#
#   module "orders" {
#     source = "./lambdabuild"
#     name   = "Orders"
#   }
#
#   resource "aws_lambda_function" "orders" {
#     function_name    = "orders"
#     filename         = module.orders.filename
#     source_code_hash = module.orders.source_code_hash
#     ...
#   }
#
# `lambdabuild init --terraform` wrote this folder; it is yours to keep, and to change.

terraform {
  required_version = ">= 1.3"
  required_providers {
    external = {
      source  = "hashicorp/external"
      version = ">= 2.2.3"
    }
  }
}

variable "name" {
  description = "The function or layer, as lambdabuild calls it."
  type        = string
}

variable "directory" {
  description = "The folder of the project that lambdabuild builds. Default: the root module's."
  type        = string
  default     = ""
}

variable "settings" {
  description = "Settings of lambdabuild, as on its command line: { bucket = \"my-bucket\" }."
  type        = map(string)
  default     = {}
}

variable "command" {
  description = "How lambdabuild is started: [\"uv\", \"run\", \"lambdabuild\"], for example."
  type        = list(string)
  default     = ["lambdabuild"]
}

data "external" "output" {
  program = concat(var.command, ["output", "--for", "terraform", "--directory", local.directory])
  query   = merge(var.settings, { name = var.name })
}

locals {
  directory = var.directory == "" ? path.root : var.directory
  result    = data.external.output.result
}

output "filename" {
  description = "The zip, as seen from where Terraform runs; null when it is in S3 or an image."
  value       = local.result.filename == "" ? null : "${local.directory}/${local.result.filename}"
}

output "source_code_hash" {
  description = "The sha256 of the zip in base64; null for an image."
  value       = local.result.source_code_hash == "" ? null : local.result.source_code_hash
}

output "s3_bucket" {
  description = "The bucket that the zip was uploaded to; null when lambdabuild has none."
  value       = local.result.s3_bucket == "" ? null : local.result.s3_bucket
}

output "s3_key" {
  description = "The key of the zip in the bucket, which holds its sha256."
  value       = local.result.s3_key == "" ? null : local.result.s3_key
}

output "image_uri" {
  description = "The image, with its digest; null for a zip."
  value       = local.result.image_uri == "" ? null : local.result.image_uri
}

output "runtime" {
  value = local.result.runtime
}

output "architectures" {
  value = local.result.architecture == "" ? [] : [local.result.architecture]
}

output "handler" {
  value = local.result.handler
}

output "layers" {
  description = "The layers that the function runs with, each with name, filename, source_code_hash, s3_bucket and s3_key."
  value = [
    for layer in jsondecode(local.result.layers) : {
      name             = layer.name
      filename         = layer.filename == "" ? null : "${local.directory}/${layer.filename}"
      source_code_hash = layer.source_code_hash
      s3_bucket        = layer.s3_bucket == "" ? null : layer.s3_bucket
      s3_key           = layer.s3_key == "" ? null : layer.s3_key
    }
  ]
}
