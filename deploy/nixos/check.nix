# Evaluates the module with as much of Nixpkgs as it uses, and holds what comes out: true, or an error. deploy/verify.sh asks.
#
#   nix-instantiate --eval --strict deploy/nixos/check.nix
let
  prefixed = prefix: text: builtins.substring 0 (builtins.stringLength prefix) text == prefix;
  lib = {
    hasPrefix = prefixed;
    removePrefix = prefix: text: if prefixed prefix text then builtins.substring (builtins.stringLength prefix) (-1) text else text;
    splitString = separator: text: builtins.filter builtins.isString (builtins.split separator text);
    last = list: builtins.elemAt list (builtins.length list - 1);
    mkEnableOption = description: { inherit description; default = false; };
    mkOption = option: option;
    mkIf = condition: value: if condition then value else { };
    literalExpression = text: text;
    types = { package = "package"; str = "str"; bool = "bool"; path = "path"; listOf = t: t; either = a: b: a; nullOr = t: t; };
  };
  pkgs = {
    callPackage = path: arguments: "/pgguard";
    formats.yaml = options: { type = "yaml"; generate = name: value: builtins.toJSON value; };
    runCommand = name: variables: script: script;
    coreutils = "/coreutils";
  };
  # of are the settings of a service that has given's.
  of = given:
    let
      module = import ./module.nix { inherit lib pkgs; config.services.pgguard = defaults // { enable = true; } // given; };
      defaults = builtins.mapAttrs (name: option: option.default) (import ./module.nix { inherit lib pkgs; config = { }; }).options.services.pgguard;
    in
    module.config;
  streams = given: (of given).systemd.sockets.pgguard.socketConfig.ListenStream;
  file = given: builtins.fromJSON (lib.removePrefix "/pgguard/bin/pgguard serve -c " (of (given // { checkConfig = false; })).systemd.services.pgguard.serviceConfig.ExecStart);
  allowed = given: builtins.all (a: a.assertion) (of given).assertions;
  jobs = { addr = "127.0.0.1:5433"; class = "low"; };
in
assert streams { } == [ "127.0.0.1:6432" ];
# A listener may have a class, as Mastodon's Sidekiq needs it; a unix socket has the port at which pgguard looks for it.
assert streams { listen = [ "127.0.0.1:5432" jobs "unix:/run/x" ]; } == [ "127.0.0.1:5432" "127.0.0.1:5433" "/run/x/.s.PGSQL.5432" ];
assert streams { listen = [ "unix:/run/x" ]; } == [ "/run/x/.s.PGSQL.6432" ];
assert (file { listen = [ "127.0.0.1:5432" jobs ]; settings.pool.max_servers = 80; })
  == { listen = [{ addr = "127.0.0.1:5432"; } jobs]; http = "127.0.0.1:9432"; pool.max_servers = 80; };
assert allowed { } && !allowed { settings.listen = [ "127.0.0.1:5432" ]; };
true
