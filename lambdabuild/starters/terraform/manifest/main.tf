# The same as the module above it, with no provider: what the last run of `lambdabuild` built, from its manifest.json.
# Run `lambdabuild` before `terraform plan`.
#
#   module "orders" {
#     source = "./lambdabuild/manifest"
#     name   = "Orders"
#   }

terraform {
  required_version = ">= 1.3"
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

variable "build_dir" {
  description = "The folder that lambdabuild builds into, within the project."
  type        = string
  default     = "build"
}

locals {
  folder   = "${var.directory == "" ? path.root : var.directory}/${var.build_dir}"
  manifest = jsondecode(file("${local.folder}/manifest.json"))
  all      = merge(local.manifest.shared_layers, local.manifest.sources, local.manifest.layers, local.manifest.functions)
  item     = local.all[var.name]
  is_image = try(local.item.kind, "") == "image"
  is_in_s3 = startswith(local.item.location, "s3://")
  layers   = concat(try(local.item.layers, []), try(local.item.shared_layers, []))
}

output "filename" {
  description = "The zip, as seen from where Terraform runs; null when it is in S3 or an image."
  value       = local.is_in_s3 || local.is_image ? null : "${local.folder}/${local.item.zip}"
}

output "source_code_hash" {
  description = "The sha256 of the zip in base64; null for an image."
  value       = local.is_image ? null : local.item.code_sha256
}

output "s3_bucket" {
  description = "The bucket that the zip was uploaded to; null when lambdabuild has none."
  value       = local.is_in_s3 ? split("/", trimprefix(local.item.location, "s3://"))[0] : null
}

output "s3_key" {
  description = "The key of the zip in the bucket, which holds its sha256."
  value       = local.is_in_s3 ? local.item.key : null
}

output "image_uri" {
  description = "The image, with its digest; null for a zip."
  value       = local.is_image ? local.item.location : null
}

output "runtime" {
  value = try(local.item.runtime, "")
}

output "architectures" {
  value = try(local.item.architecture, "") == "" ? [] : [local.item.architecture]
}

output "handler" {
  value = try(local.item.handler, "")
}

output "layers" {
  description = "The layers that the function runs with, each with name, filename, source_code_hash, s3_bucket and s3_key."
  value = [
    for name in local.layers : {
      name             = name
      filename         = startswith(local.all[name].location, "s3://") ? null : "${local.folder}/${local.all[name].zip}"
      source_code_hash = local.all[name].code_sha256
      s3_bucket        = startswith(local.all[name].location, "s3://") ? split("/", trimprefix(local.all[name].location, "s3://"))[0] : null
      s3_key           = startswith(local.all[name].location, "s3://") ? local.all[name].key : null
    }
  ]
}
