# pgguard as a service of NixOS:
#
#   imports = [ ./pgguard/deploy/nixos/module.nix ];
#   services.pgguard = {
#     enable = true;
#     environmentFile = "/run/secrets/pgguard"; # PGGUARD_UPSTREAM=postgres://app:secret@db:5432/app
#     settings.auth = { method = "scram-sha-256"; query = "auto"; };
#   };
#
# settings are those of deploy/pgguard.yaml, but listen and http, which are options of their own. The sockets are systemd's, so a rebuild or a restart
# refuses nobody.
{ config, lib, pkgs, ... }:

let
  cfg = config.services.pgguard;
  yaml = pkgs.formats.yaml { };
  listen = map (l: if builtins.isString l then { addr = l; } else l) cfg.listen;
  file = yaml.generate "pgguard.yaml" (cfg.settings // {
    inherit listen;
    inherit (cfg) http;
  });
  # Faults of the configuration are faults of the build.
  checked = if !cfg.checkConfig then file else pkgs.runCommand "pgguard-checked.yaml" { } ''
    PGGUARD_UPSTREAM=postgres://build@db/build ${cfg.package}/bin/pgguard check ${file} >/dev/null
    cp ${file} $out
  '';
  # A unix socket has the port of the first address that has one.
  isSocket = l: lib.hasPrefix "unix:" l.addr;
  hosts = builtins.filter (l: !isSocket l) listen;
  port = if hosts == [ ] then "6432" else lib.last (lib.splitString ":" (builtins.head hosts).addr);
  streams = map (l: if isSocket l then "${lib.removePrefix "unix:" l.addr}/.s.PGSQL.${port}" else l.addr) listen;
in
{
  options.services.pgguard = {
    enable = lib.mkEnableOption "pgguard, a pooling proxy for PostgreSQL";

    package = lib.mkOption {
      type = lib.types.package;
      default = pkgs.callPackage ./package.nix { };
      defaultText = lib.literalExpression "pkgs.callPackage ./package.nix { }";
      description = "The package that has pgguard.";
    };

    listen = lib.mkOption {
      type = lib.types.listOf (lib.types.either lib.types.str yaml.type);
      default = [ "127.0.0.1:6432" ];
      example = [ "127.0.0.1:6432" { addr = "127.0.0.1:6433"; class = "low"; } "unix:/run/postgresql-guarded" ];
      description = "Addresses for clients, host:port or unix:DIR; with a class or a TLS mode of its own as in pgguard.yaml. Who may connect to a unix socket: systemd.sockets.pgguard.socketConfig.SocketMode.";
    };

    http = lib.mkOption {
      type = lib.types.str;
      default = "127.0.0.1:9432";
      description = "Address of dashboard, metrics and health checks, or off.";
    };

    settings = lib.mkOption {
      type = yaml.type;
      default = { };
      example = { pool.max_servers = 80; };
      description = "Every other key of pgguard.yaml. It can be read by everybody on the machine: no secrets.";
    };

    checkConfig = lib.mkOption {
      type = lib.types.bool;
      default = true;
      description = "Have the build fail for a configuration with faults. Turn it off if auth.users_file or a password_file is in it, which the build cannot read.";
    };

    environmentFile = lib.mkOption {
      type = lib.types.nullOr lib.types.path;
      default = null;
      example = "/run/secrets/pgguard";
      description = "File with variables such as PGGUARD_UPSTREAM, where passwords are.";
    };
  };

  config = lib.mkIf cfg.enable {
    users.users.pgguard = { isSystemUser = true; group = "pgguard"; };
    users.groups.pgguard = { };

    assertions = [{
      assertion = !(cfg.settings ? listen || cfg.settings ? http);
      message = "services.pgguard.settings has listen or http, which are options of their own: services.pgguard.listen and services.pgguard.http.";
    }];

    environment.systemPackages = [ cfg.package ];

    systemd.sockets.pgguard = {
      description = "Sockets of pgguard, a pooling proxy for PostgreSQL";
      wantedBy = [ "sockets.target" ];
      socketConfig = { ListenStream = streams; Backlog = 4096; };
    };

    systemd.services.pgguard = {
      description = "pgguard, a pooling proxy for PostgreSQL";
      wantedBy = [ "multi-user.target" ];
      wants = [ "network-online.target" ];
      after = [ "network-online.target" "nss-lookup.target" ];
      startLimitIntervalSec = 0;
      environment.XDG_CACHE_HOME = "/var/cache";
      # The options of deploy/systemd/pgguard.service; a test holds the two together.
      serviceConfig = {
        Type = "notify";
        NotifyAccess = "main";
        ExecStart = "${cfg.package}/bin/pgguard serve -c ${checked}";
        ExecReload = "${pkgs.coreutils}/bin/kill -HUP $MAINPID";
        EnvironmentFile = lib.mkIf (cfg.environmentFile != null) cfg.environmentFile;
        Restart = "always";
        RestartSec = "1s";
        RestartPreventExitStatus = 2;
        TimeoutStopSec = "30s";
        WatchdogSec = "30s";
        OOMScoreAdjust = -500;
        LimitNOFILE = 65536;
        MemoryDenyWriteExecute = true;
        User = "pgguard";
        Group = "pgguard";
        RuntimeDirectory = "pgguard";
        RuntimeDirectoryPreserve = "restart";
        CacheDirectory = "pgguard";
        UMask = "0077";
        AmbientCapabilities = "";
        CapabilityBoundingSet = "";
        NoNewPrivileges = true;
        ProtectSystem = "strict";
        ProtectHome = true;
        PrivateTmp = true;
        PrivateDevices = true;
        ProtectClock = true;
        ProtectControlGroups = true;
        ProtectHostname = true;
        ProtectKernelLogs = true;
        ProtectKernelModules = true;
        ProtectKernelTunables = true;
        ProtectProc = "invisible";
        LockPersonality = true;
        RemoveIPC = true;
        RestrictAddressFamilies = [ "AF_INET" "AF_INET6" "AF_UNIX" ];
        RestrictNamespaces = true;
        RestrictRealtime = true;
        RestrictSUIDSGID = true;
        SystemCallArchitectures = "native";
        SystemCallFilter = [ "@system-service" "~@privileged @resources" ];
        SystemCallErrorNumber = "EPERM";
      };
    };
  };
}
