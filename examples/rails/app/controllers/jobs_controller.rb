require "sidekiq/api"

class JobsController < ApplicationController
  # The numbers are Redis's: they are there while PostgreSQL is not.
  def index
    stats = Sidekiq::Stats.new
    @numbers = {waiting: stats.enqueued, running: stats.workers_size, done: stats.processed - stats.failed, failed: stats.failed, to_try_again: stats.retry_size}
    respond_to do |format|
      format.html { @reports = Report.order(id: :desc).limit(10) }
      format.json { render json: @numbers }
    end
  end

  def create
    count = params.fetch(:count, 1).to_i.clamp(1, 1000)
    ReportJob.perform_bulk(Array.new(count) { [] })
    redirect_to jobs_path
  end
end
