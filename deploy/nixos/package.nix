# pgguard as a package of Nix. vendorHash is of what go mod vendor makes; make verify says what it must be after a change of what is imported, and what
# the next line must be.
# go.sum: 045822301d033dc3
{ lib, buildGoModule, version ? "devel", vendorHash ? "sha256-75SrPQ4XB+7b09ZSAiXLYn4+GHyBw9Ko/rCcocRNGCo=" }:

buildGoModule {
  pname = "pgguard";
  inherit version vendorHash;
  src = lib.cleanSource ../..;
  subPackages = [ "cmd/pgguard" "cmd/pgguard-bench" ];
  env.CGO_ENABLED = 0;
  ldflags = [ "-s" "-w" "-X main.version=${version}" ];
  # The tests start PostgreSQL; the project runs them itself.
  doCheck = false;
  meta = {
    description = "Pooling proxy for PostgreSQL that keeps the database at the load where it does the most work";
    license = lib.licenses.asl20;
    mainProgram = "pgguard";
    platforms = lib.platforms.unix;
  };
}
