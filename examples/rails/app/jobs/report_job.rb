class ReportJob
  include Sidekiq::Job
  sidekiq_options queue: "reports"

  def perform
    Report.write
  end
end
