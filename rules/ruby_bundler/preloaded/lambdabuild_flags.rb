# frozen_string_literal: true

# Loaded into extconf.rb: no debug information in what it compiles, for that names folders of this machine.

require "rbconfig"

%w[CFLAGS CXXFLAGS].each { |name| RbConfig::MAKEFILE_CONFIG[name] = "#{RbConfig::MAKEFILE_CONFIG[name]} -g0" }
